from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine and about asyncio's debug mode, nothing about
# the code; and the fixtures that examples share here are constants.
settings.register_profile(
    "les02",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("les02")
