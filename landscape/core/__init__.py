"""What every room uses: errors, schemas, files, progress."""
