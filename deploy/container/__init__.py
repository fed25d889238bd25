"""The image: how it is made (`build`, `Dockerfile`), and whether it keeps its promises (`check`, `rolling_restart`)."""
