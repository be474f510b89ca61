"""Speed against peers: ratios taken in one run, with the equality check beside every figure.

cases       the registry: a row a case, with its peers and what it must show
inputs      the arrays of a case, from a seed
job         one thing to time
torch_jobs  torch's layers, cells and packed sequences, loops written in Python
our_jobs    throughtime's
onnx_jobs   ONNX Runtime's
keras_jobs  Keras's on JAX
worker      a process that runs the jobs of one library
memory      the peak memory of one call, in a process of its own
race        takes turns between processes
verdict     medians, ratios, equality, and what makes a figure void
machine     what it ran on, and the most that it can compute
store       results/speed.json
table       the same for people
plot        the ratios as a picture
"""
