"""Tables: CSV, tab-separated text and Parquet, read row by row."""
