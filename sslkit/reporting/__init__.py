"""Reports: what run folders say, as one HTML file that needs nothing else."""
