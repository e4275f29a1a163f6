"""The module's self-test, a file a topic. Functions take the unittest case; LungNoduleCADTest names them."""
