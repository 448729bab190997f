"""The bench of ci/bench: loadtool beside other load generators."""
