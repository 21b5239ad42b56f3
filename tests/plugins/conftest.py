from hypothesis import settings

settings.register_profile("sslkit", deadline=None)  # machines differ, and a busy one is no failure
settings.load_profile("sslkit")
