"""gRPC: TensorFlow Serving's services over the models that HTTP serves, too."""
