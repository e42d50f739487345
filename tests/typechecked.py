"""The type checker that the package runs under in tests: shapes of jaxtyping annotations, with int accepted as float."""

from beartype import BeartypeConf, beartype

typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True))
