"""The real thing: each CPU processor installs from its lock and imports its own TensorFlow."""

import json
import os
import subprocess

import pytest

from eas_processor.observe.progress import NoProgress
from eas_processor.registry import Registry
from eas_processor.runtimes import install, why_not

CPU = [m for m in Registry().all() if m.tensorflow and m.device == "cpu"]
CODE = """
import json, sys, numpy, google.protobuf, tensorflow
print(json.dumps([tensorflow.__version__, "%d.%d" % sys.version_info[:2]]))
"""


@pytest.mark.tensorflow
@pytest.mark.parametrize("manifest", CPU, ids=lambda manifest: manifest.name)
def test_the_runtime_has_the_tensorflow_and_the_python_of_its_manifest(manifest):
    reason = why_not(manifest)
    if reason and "CI" not in os.environ:
        pytest.skip(reason)

    runtime = install(manifest, NoProgress())

    ran = subprocess.run(
        [runtime.python, "-I", "-W", "ignore", "-c", CODE],
        capture_output=True,
        timeout=120,
        check=True,
    )
    tensorflow, python = json.loads(ran.stdout)
    assert tensorflow == manifest.tensorflow
    assert python in manifest.python
