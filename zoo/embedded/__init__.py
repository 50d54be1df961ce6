"""The published students, a folder each; as a distribution of its own, `studentzoo_students`."""
