"""Mathematics in the words of a claim: read (`formula`, with the commands of `signs`) and said in two ways (`said`)."""

from .said import LONG, plain, typeset

__all__ = ["LONG", "plain", "typeset"]
