"""The floor of gRPC in Python: grpc.aio with one generic handler that answers so many bytes.

python grpc_echo_server.py PORT ANSWER_BYTES
"""

import sys

import grpc
import grpc.aio
import uvloop


class Echo(grpc.GenericRpcHandler):
    """Takes every method; parses nothing."""

    def __init__(self, answer: bytes) -> None:
        async def echo(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            return answer

        self._handler = grpc.unary_unary_rpc_method_handler(echo)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """The one handler."""
        return self._handler


async def serve(port: int, answer_bytes: int) -> None:
    """Listen on loopback until the process is ended."""
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((Echo(bytes(answer_bytes)),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
