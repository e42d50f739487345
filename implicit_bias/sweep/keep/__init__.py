"""What is kept: tiles and plans on the disk, and their reading as datasets."""
