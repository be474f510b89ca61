"""Video: frames out of files and folders, and annotated frames into them.

reading   frames of a video or a folder of images, small, with their times
writing   frames with labels written over them, as a video or a GIF
"""

from throughtime.data.video.reading import frames_of, is_frame_folder, is_video, read_frames
from throughtime.data.video.writing import write_video

__all__ = ["frames_of", "is_frame_folder", "is_video", "read_frames", "write_video"]
