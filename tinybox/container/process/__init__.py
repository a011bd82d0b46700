"""A plan is carried out here, from clone3(2) to the exit status."""
