"""The configuration of an encoder, as sentence-transformers and transformers write it.

folder.py     the JSON files of a folder
pooling.py    vectors of tokens to the vector of a text
stages.py     what follows the pooling: Dense, LayerNorm, Normalize
limits.py     how long a text may be
classes.py    labels and activation of a classifier
prompts.py    what is written before texts
special.py    the tokens that the model expects around a text
feeds.py      what a graph takes

What is not understood is refused when the model is loaded: a wrong vector looks like a right one.
"""
