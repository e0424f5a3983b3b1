"""All targets, by name."""

from tests.fuzz import (
    http2_target,
    http_target,
    packing_target,
    rest_target,
    service_json_target,
    tensors_target,
    wall_target,
)

ROOMS = (
    *(http_target, http2_target, packing_target),
    *(tensors_target, rest_target, wall_target, service_json_target),
)
TARGETS = {room.TARGET.name: room.TARGET for room in ROOMS}
