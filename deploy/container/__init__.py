"""Container image: its build (`build`, `Dockerfile`) and its tests (`check`, `rolling_restart`)."""
