"""Tables in files.

files           CSV, CSV.gz and Parquet in, CSV, JSON and Parquet out
csv_text        CSV, checked and parsed
blocks          large tables in pieces
series_file     series from files, which may be larger than memory
holidays_file   holidays from files
"""

__all__: list[str] = []
