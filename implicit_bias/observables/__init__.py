"""What is measured inside the compiled run: functions of a snapshot, and folds that see every step."""
