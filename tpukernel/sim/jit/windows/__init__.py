"""Windows that slide over the planes of a tensor: what PorD is lowered to.

A line is the plane of one (n, c). `spread` makes a copy of it with padding, insertions and the columns of a stride sorted apart, if it
needs any of that; `slide` lets the window run over it; `stretch` is for windows that cover the whole plane. What happens to the elements
under a window is said by `arithmetic`.
"""
