"""The far side of the wall: what runs in a processor's own interpreter.

Python 3.6-clean; imports the standard library only (a processor adds its own TensorFlow, numpy and
protobuf). The host shares `frames` and nothing else.
"""
