"""HandleReloadConfigRequest, each check from where the one before it left the server.

The server has the model `first`; FOLDER/model holds versions 1 and 2 of half_plus_two.
"""

import time

from asking import TIMEOUT_S, predict, refused, spec
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2

State = get_model_status_pb2.ModelVersionStatus.State
RELOAD_S = 120


def asked(server, **models):
    """A request for these models; each may fill in its ModelConfig."""
    request = model_management_pb2.ReloadConfigRequest()
    for name, fill in models.items():
        one = request.config.model_config_list.config.add(
            name=name, base_path=server.folder + "/model", model_platform="tensorflow"
        )
        fill(one)
    return request


def plain(config):
    """As it stands."""


def both_versions(config):
    config.model_version_policy.all.SetInParent()


def relative(config):
    config.base_path = "model"


def labelled(**versions):
    def fill(config):
        both_versions(config)
        for label, version in versions.items():
            config.version_labels[label] = version

    return fill


def reload(server, request):
    answer = server.models.HandleReloadConfigRequest(request, timeout=RELOAD_S)
    assert answer.status.error_code == 0, answer


def reload_refused(server, request):
    return refused(server.models.HandleReloadConfigRequest, request, timeout=RELOAD_S)


def version(server, name, **which):
    return server.predict(predict(name, **which)).model_spec.version.value


def available(server, name):
    request = get_model_status_pb2.GetModelStatusRequest()
    spec(request.model_spec, name)
    rows = server.models.GetModelStatus(request, timeout=TIMEOUT_S).model_version_status
    return [row.version for row in rows if State.Name(row.state) == "AVAILABLE"]


def check_a_model_is_added(server):
    reload(server, asked(server, first=plain, second=plain))
    assert (version(server, "first"), version(server, "second")) == (2, 2)


def check_a_policy_changes(server):
    reload(server, asked(server, first=both_versions, second=plain))
    end_s = time.monotonic() + TIMEOUT_S
    while available(server, "first") != [2, 1]:  # a reload does not wait for them
        assert time.monotonic() < end_s
        time.sleep(0.02)
    assert version(server, "first", version=1) == 1


def check_only_labels_change(server):
    reload(server, asked(server, first=labelled(stable=1, canary=2), second=plain))
    assert version(server, "first", label="stable") == 1
    assert version(server, "first", label="canary") == 2
    reload(server, asked(server, first=labelled(stable=2), second=plain))
    assert version(server, "first", label="stable") == 2
    told = refused(server.prediction.Predict, predict("first", label="canary"))
    assert told == ("INVALID_ARGUMENT", "Unrecognized servable version label: canary"), told


def check_a_label_of_a_version_that_is_not_there_is_refused(server):
    told = reload_refused(server, asked(server, first=labelled(stable=9), second=plain))
    words = "Request to assign label to version 9 of model first, which is not currently available"
    assert told[0] == "FAILED_PRECONDITION" and told[1].startswith(words), told
    assert version(server, "first", label="stable") == 2


def check_a_configuration_that_cannot_be_changes_nothing(server):
    twice = asked(server, first=plain)
    twice.config.model_config_list.config.add().CopyFrom(twice.config.model_config_list.config[0])
    other = asked(server, first=plain)
    other.config.model_config_list.config[0].model_platform = "tensorflow_cpu_1.15"
    for request, words in (
        (twice, "Illegal to list model first multiple times in config list"),
        (asked(server, first=relative), "Expected model first to have an absolute path or URI"),
        (other, "Illegal to change a model's platform"),
        (model_management_pb2.ReloadConfigRequest(), "Only ModelConfigList is currently supported"),
    ):
        code, text = reload_refused(server, request)
        assert code == "INVALID_ARGUMENT" and words in text, (code, text)
    assert version(server, "first", label="stable") == 2 and version(server, "second") == 2


def check_a_model_that_does_not_come_is_told_and_the_others_serve(server):
    request = asked(server, first=both_versions, nowhere=plain)
    request.config.model_config_list.config[1].base_path = server.folder + "/nowhere"
    code, text = reload_refused(server, request)
    assert code == "UNKNOWN" and "did not become available: {{name: nowhere}" in text, text
    assert version(server, "first") == 2


def check_models_that_are_left_out_go(server):
    reload(server, asked(server, first=plain))
    for name in ("second", "nowhere"):
        told = refused(server.prediction.Predict, predict(name))
        assert told == ("NOT_FOUND", f"Servable not found for request: Latest({name})"), told


def check_an_empty_list_is_no_models(server):
    request = asked(server)
    request.config.model_config_list.SetInParent()
    reload(server, request)
    told = refused(server.prediction.Predict, predict("first"))
    assert told == ("NOT_FOUND", "Servable not found for request: Latest(first)"), told
