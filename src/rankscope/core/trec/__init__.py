"""TREC's columns: runs are read in blocks or line by line and written without ties; qrels are read and written."""
