"""What a run's folder shows in `report/`: pictures and tables of how it went."""
