"""What images are kept in: folders, tars, tables, arrays, and the files in which data sets are published."""
