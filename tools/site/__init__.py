"""The site: `make site` makes it from the documents, the labs, the lectures and the workshop, with recorded runs."""
