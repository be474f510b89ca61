"""The independent oracle: float64 NumPy, one example and one time step at a time, nothing imported from throughtime.

cells.py     the equations and their partial derivatives, in the notes' letters
network.py   a whole net: ŷ_t, the loss over all steps, backpropagation through time and through W_ya
layout.py    the notes' letters and torch's stacked parameters, both ways
batch.py     a batch with lengths, resets and a direction, in torch's layout
deep.py      layers on layers, one way and both ways, in torch's layout
"""
