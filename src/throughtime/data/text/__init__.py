"""Texts: files of them, their units, and tagged sentences.

files           plain text, JSON Lines, compressed
units           characters, words, subwords as ids
vocabulary      symbols and their ids
tokens          raw text into tokens with exact places
conll           tagged sentences in columns
"""

__all__: list[str] = []
