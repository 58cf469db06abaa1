"""What the demonstration holds: an alliance of real places with invented people, and a legacy export to import. All data of persons is made up."""
