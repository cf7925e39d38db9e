"""The engine of CONV, MM and MM2: sums of products as one packed matrix product, exact to the bit.

Rows of the left factor are output channels (or rows of the left matrix), columns of the right one output pixels (or columns of the right
matrix), k runs in the chip's order. The left factor is packed once per command, in blocks of rows. A unit of work is a panel of columns and
a range of row blocks: it gathers its part of the right factor through tables of offsets, lets a microkernel work on each row block, and
finishes its sums.
"""
