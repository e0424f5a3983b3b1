"""gRPC: TensorFlow Serving's services over the models that HTTP serves, too."""

import os

# Read when grpc is first used. Workers are started by fork and exec, which needs none of its
# handlers; with them it would warn at every start.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
# The newer listener hands each event to one more thread: a fifth more CPU time for each call.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
