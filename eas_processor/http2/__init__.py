"""HTTP/2 (RFC 9113) for servers: frames, heads, flow control. Nothing here knows of gRPC."""
