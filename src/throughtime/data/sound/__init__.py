"""Sound on its way into a model, and what is known of language beside it.

files      sound in files, whole or in pieces
pipe       sound from a pipe
resample   other rates, other speeds
features   log-mel energies
pauses     utterances: where somebody speaks
manifest   which sound says what
ark        feature matrices of others
arpa       n-gram language models
"""

from throughtime.data.sound.arpa import NGrams, read_arpa, write_arpa
from throughtime.data.sound.features import LogMel
from throughtime.data.sound.files import Sound, read_sound, sound_pieces
from throughtime.data.sound.manifest import Clip, read_manifest
from throughtime.data.sound.pauses import Pauses

__all__ = [
    "Clip",
    "LogMel",
    "NGrams",
    "Pauses",
    "Sound",
    "read_arpa",
    "read_manifest",
    "read_sound",
    "sound_pieces",
    "write_arpa",
]
