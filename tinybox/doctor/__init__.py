"""Is this host fit for containers? Each fact is read from the kernel or tried on it, with a verdict and a cure."""
