"""The environment's names for tokens: unlike a flag, they show in no list of processes."""

TOKEN_VARIABLE = "EAS_PROCESSOR_TOKEN"
ADMIN_TOKEN_VARIABLE = "EAS_PROCESSOR_ADMIN_TOKEN"
