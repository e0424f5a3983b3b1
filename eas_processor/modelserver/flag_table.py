"""Every flag in words: its section of the help, what it does, or why it has no effect here.

Types and defaults are those of `flags.Flags`; the tests hold this table, that struct and
`docs/tensorflow-serving.md` to each other.
"""

from __future__ import annotations

import msgspec


class Flag(msgspec.Struct, frozen=True):
    """One flag. idle: why it has no effect, empty if it has one. value: what stands after `=`."""

    name: str
    section: str
    meaning: str
    idle: str = ""
    value: str = ""


_SERVE = "What to serve"
_PORTS = "Ports"
_LOADING = "Finding and loading versions"
_BATCHING = "Batching"
_TENSORFLOW = "TensorFlow"
_ANSWERS = "Answers"
_OURS = "This server's own"

SECTIONS = (_SERVE, _PORTS, _LOADING, _BATCHING, _TENSORFLOW, _ANSWERS, _OURS)

_EVENT_LOOP = "one event loop takes all connections, it has no thread pool to size"
_PROCESS = "each version runs in its own process; unloading ends that process"

FLAGS: tuple[Flag, ...] = (
    Flag("model_name", _SERVE, "name of the one model", value="NAME"),
    Flag("model_base_path", _SERVE, "folder that holds its version folders", value="DIR"),
    Flag("model_config_file", _SERVE, "text ModelServerConfig; wins over the two above",
         value="FILE"),
    Flag("model_config_file_poll_wait_seconds", _SERVE,
         "read the file again every so often; 0: once", value="SECONDS"),
    Flag("allow_version_labels_for_unavailable_models", _SERVE,
         "a label not yet in use may name a version that is not loaded"),
    Flag("port", _PORTS, "gRPC; 0: none", value="PORT"),
    Flag("rest_api_port", _PORTS, "REST; 0: none", value="PORT"),
    Flag("grpc_socket_path", _PORTS, "gRPC on this Unix socket too", value="PATH"),
    Flag("grpc_channel_arguments", _PORTS, "of the gRPC server", value="KEY=VALUE,…"),
    Flag("enable_grpc_healthcheck_service", _PORTS, "grpc.health.v1 on the gRPC port"),
    Flag("ssl_config_file", _PORTS, "text SSLConfig, for the gRPC port", value="FILE"),
    Flag("rest_api_timeout_in_ms", _PORTS, "longest time for a REST request; 0: no bound",
         value="MS"),
    Flag("rest_api_enable_cors_support", _PORTS, "CORS headers on REST answers"),
    Flag("monitoring_config_file", _PORTS, "text MonitoringConfig: metrics on the REST port",
         value="FILE"),
    Flag("rest_api_num_threads", _PORTS, "threads of the REST port", _EVENT_LOOP, "N"),
    Flag("grpc_max_threads", _PORTS, "threads of the gRPC port", _EVENT_LOOP, "N"),
    Flag("use_alts_credentials", _PORTS, "Google's transport security; refused if true"),
    Flag("enable_profiler", _PORTS, "TensorBoard can capture a profile over the gRPC port"),
    Flag("file_system_poll_wait_seconds", _LOADING,
         "look for versions every so often; 0: once; negative: never", value="SECONDS"),
    Flag("max_num_load_retries", _LOADING, "further tries after a load that failed", value="N"),
    Flag("load_retry_interval_micros", _LOADING, "between the tries; negative: no wait",
         value="MICROS"),
    Flag("num_load_threads", _LOADING, "versions loaded at a time; 0: as many as cores", value="N"),
    Flag("num_unload_threads", _LOADING, "versions unloaded at a time", _PROCESS, "N"),
    Flag("flush_filesystem_caches", _LOADING, "drop cached model files after loading",
         "the system drops them when it needs the memory"),
    Flag("enable_model_warmup", _LOADING, "replay assets.extra/tf_serving_warmup_requests"),
    Flag("num_request_iterations_for_warmup", _LOADING, "replays of each record; 0: one",
         value="N"),
    Flag("enable_batching", _BATCHING, "join requests that wait into one run"),
    Flag("batching_parameters_file", _BATCHING, "text BatchingParameters; needs enable_batching",
         value="FILE"),
    Flag("enable_per_model_batching_parameters", _BATCHING,
         "read batching_params.pbtxt in each version folder instead"),
    Flag("tensorflow_session_parallelism", _TENSORFLOW, "threads in an op and between ops",
         value="N"),
    Flag("tensorflow_intra_op_parallelism", _TENSORFLOW, "threads in an op; 0: automatic",
         value="N"),
    Flag("tensorflow_inter_op_parallelism", _TENSORFLOW, "threads between ops; 0: automatic",
         value="N"),
    Flag("tensorflow_session_config_file", _TENSORFLOW, "text ConfigProto", value="FILE"),
    Flag("per_process_gpu_memory_fraction", _TENSORFLOW,
         "share of a GPU's memory for each version; 0: as it is needed", value="SHARE"),
    Flag("saved_model_tags", _TENSORFLOW, "the graph with these tags", value="TAG,…"),
    Flag("platform_config_file", _TENSORFLOW, "text PlatformConfigMap",
         "it configures parts of the other server's inside; the flags beside it say the same",
         "FILE"),
    Flag("prefer_tflite_model", _TENSORFLOW, "use model.tflite where a version has one"),
    Flag("num_tflite_pools", _TENSORFLOW, "TFLite interpreters that run at a time; 0: cores",
         value="N"),
    Flag("num_tflite_interpreters_per_pool", _TENSORFLOW, "TFLite interpreters of a pool",
         "the interpreters of a version are counted by num_tflite_pools alone", "N"),
    Flag("mixed_precision", _TENSORFLOW, "only `bfloat16`", value="TYPE"),
    Flag("xla_cpu_compilation_enabled", _TENSORFLOW, "compile graphs with XLA for the CPU"),
    Flag("xla_gpu_compilation_enabled", _TENSORFLOW, "compile graphs with XLA for the GPU",
         "ask TensorFlow itself: TF_XLA_FLAGS=--tf_xla_auto_jit=2 in the environment"),
    Flag("remove_unused_fields_from_bundle_metagraph", _TENSORFLOW, "keep less of a loaded graph",
         "the host keeps the signatures only"),
    Flag("thread_pool_factory_config_file", _TENSORFLOW, "thread pools of requests",
         "runs are scheduled by tensorflow_*_parallelism", "FILE"),
    Flag("skip_initialize_tpu", _TENSORFLOW, "leave TPUs alone", "TPUs are not used"),
    Flag("enable_signature_method_name_check", _ANSWERS,
         "classify and regress want a signature of that method"),
    Flag("enable_serialization_as_tensor_content", _ANSWERS,
         "gRPC Predict answers in tensor_content"),
    Flag("version", _ANSWERS, "print versions and exit"),
    Flag("host", _OURS, "address to listen on; :: is all, IPv4 and IPv6", value="ADDRESS"),
    Flag("rest_api_ssl", _OURS, "TLS on the REST port too, with the ssl_config_file"),
    Flag("processor", _OURS,
         "which TensorFlow; empty: the newest that is installed", value="NAME"),
    Flag("model_processors", _OURS, "which TensorFlow for single models",
         value="MODEL=NAME,…"),
    Flag("processors", _OURS, "folders of further processors", value="DIR,…"),
    Flag("op_libraries", _OURS, "custom ops: libraries loaded before a model", value="FILE.so,…"),
    Flag("strict_startup", _OURS, "ports open only once every model has a version available"),
    Flag("token", _OURS, "what clients must send: Authorization header or metadata",
         value="TOKEN"),
    Flag("admin_token", _OURS, "switches on adding and removing models; who does must send it",
         value="TOKEN"),
    Flag("persist_model_config", _OURS,
         "write models added and removed at run time to model_config_file"),
    Flag("request_log_dir", _OURS, "folder for the records that logging_config asks for",
         value="DIR"),
    Flag("log_level", _OURS, "debug, info or warning", value="LEVEL"),
    Flag("log_format", _OURS, "auto, text or json", value="FORMAT"),
    Flag("access_log", _OURS, "a line for each request; - for standard error", value="FILE"),
    Flag("access_log_sample", _OURS, "the part of the requests that are logged", value="0…1"),
    Flag("otlp_endpoint", _OURS, "send traces there; needs eas-processor[otel]", value="URL"),
    Flag("host_processes", _OURS,
         "processes that share the ports and the workers; for machines with many cores", value="N"),
    Flag("help", _OURS, "print this and exit"),
)  # fmt: skip

BY_NAME: dict[str, Flag] = {flag.name: flag for flag in FLAGS}
