"""Runs laid side by side: what differs in their recipes, what came out, and how sure a difference is."""
