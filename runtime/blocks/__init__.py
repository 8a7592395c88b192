"""Data larger than memory: read by blocks, and trained on as if they were there.

A `BlockTable` (`table`) gives any rows of NPY files (`npy_folder`), of Parquet (`parquet_files`),
of Zarr and Dask arrays (`lazy_arrays`). `survey` reads it once: it learns the classes
(`label_codes`), draws the rows for test (`holding_out`), checks every number, takes the statistics
for scaling (`column_statistics`) and a checksum, and gives a `StreamedDataset` (`streamed`). Where
that fits into `memory`, it becomes an ordinary `Dataset`; else `read_ahead` fills one buffer with
blocks in a random order (`shuffled`) while the kernels train on another (`streamed_course`).

pyarrow, zarr and dask are imported when needed.
"""
