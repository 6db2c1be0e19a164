"""Many runs from one command: grids and searches, each job a process and a folder of its own."""
