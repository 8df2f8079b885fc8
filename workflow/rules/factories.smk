"""Models of the user's own: where the code of a function that builds one lies, and a hash of that code.

A module is looked for where Snakemake runs, then beside the config files, then among what is installed. What is
installed is not hashed: it has a version, and is not edited.
"""

import hashlib
import importlib.util
from modulefinder import ModuleFinder
from pathlib import Path

CODE_FOLDERS = list(dict.fromkeys([Path.cwd(), *(Path(file).absolute().parent for file in workflow.configfiles)]))

# Their names are taken: jobs run with these modules in reach.
SCRIPTS = {
    path.stem for path in Path(workflow.current_basedir.get_path_or_uri(secret_free=True), "..", "scripts").glob("*.py")
}


class OwnCode(ModuleFinder):
    """The modules that a module imports from its own folder, found without running them."""

    def find_module(self, name, path, parent=None):
        try:
            return super().find_module(name, path, parent)
        except AttributeError as error:  # a folder that is no package
            raise ImportError(name) from error


def own_folder(factory):
    """The folder from which the module of a factory is imported; None where it is none of the user's own."""
    *packages, module = factory.partition(":")[0].split(".")
    for folder in CODE_FOLDERS:
        place = folder
        for package in packages:
            place /= package
            if not (place / "__init__.py").is_file():
                break
        else:
            if (place / f"{module}.py").is_file() or (place / module / "__init__.py").is_file():
                return folder
    return None


def own_code(factory):
    """The hash of the module of a factory and of what it imports from its folder; None where it is installed."""
    folder = own_folder(factory)
    if folder is None:
        return None
    code = OwnCode(path=[str(folder)])
    code.import_hook(factory.partition(":")[0])
    digest = hashlib.sha256()
    for name, module in sorted(code.modules.items()):
        if module.__file__:
            digest.update(f"{name}\0{hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest()}\0".encode())
    return digest.hexdigest()


def check_factories(models):
    """Refuse functions whose module is not there, cannot be read, or has a name that is taken."""
    for index, model in enumerate(models):
        if "factory" not in model:
            continue
        key, factory = f"models[{index}].factory", model["factory"]
        package = factory.partition(":")[0].partition(".")[0]
        if own_folder(factory) is None:
            # Jobs may have an environment of their own, in which more is installed.
            if not workflow.deployment_settings.deployment_method and importlib.util.find_spec(package) is None:
                places = " or ".join(map(str, CODE_FOLDERS))
                refuse(key, f"there is no module of {factory!r} in {places}, and none is installed")
        elif package in SCRIPTS:
            refuse(key, f"the name {package!r} is that of a part of the workflow. Allowed: any other name of the file")
        else:
            try:
                own_code(factory)
            except (SyntaxError, ValueError, OSError) as error:
                refuse(key, f"{factory!r} cannot be read: {error}")
