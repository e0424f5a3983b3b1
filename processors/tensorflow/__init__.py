"""The TensorFlow processor: one implementation for TensorFlow 1.12 to 2.21 (Python 3.6-clean).

A request goes wire → tensors → runner → tensors → wire; `processor` holds the thread of it, `load`
finds and opens the model, `device` readies the machine before TensorFlow is imported.
"""
