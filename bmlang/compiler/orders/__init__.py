"""Orders of elements in tensors: how layers may change them, what moving elements costs, and which orders cost the least."""
