"""Texts: files of them, their units, and tagged sentences.

files           plain text, JSON Lines, compressed
units           characters, words, subwords as ids
vocabulary      symbols and their ids
tokens          raw text into tokens with exact places
records         JSON Lines, CSV and TSV, record by record
labelled        labelled texts in files of every kind
parallel        sentences with their translations
parallel_units  subwords that two languages share
conll           tagged sentences in columns
tagged          tagged sentences in files of every kind
vectors         words' vectors from GloVe, word2vec and fastText
"""

__all__: list[str] = []
