"""From graphs to programs: passes over the graph, groups of nodes that stay in local memory, steps, addresses, instructions."""
