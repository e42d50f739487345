"""Data that a study reads: from files that the user names, or from a wheel that is installed. Nothing is downloaded.

    load("digits")                     1,797 digits of 8 x 8 points: inside scikit-learn (the extra `data`)
    load("FOLDER/train-images-idx3-ubyte.gz")    MNIST, Fashion: idx files, packed or not, with their labels beside them
    load("FOLDER/data_batch_1.bin")    CIFAR-10, the binary version

>>> examples = load("digits")
>>> examples.inputs.shape, examples.classes
((1797, 8, 8), 10)
>>> three_or_eight = examples.only(3, 8)
>>> int(three_or_eight.labels.max()), len(three_or_eight)
(1, 357)
"""

from .base import Examples, load, noted

__all__ = ["Examples", "load", "noted"]
