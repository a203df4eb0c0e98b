"""``python validate.py SCHEMAS FIRST`` prints the errors of documents on standard input, by release from FIRST on.

It runs in a separate environment. ``SCHEMAS`` is a JSON file with the custom resources' schemas, by kind and version.
"""

# mypy: ignore-errors
import json
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml
from kubernetes_validate.utils import all_versions

custom = json.loads(Path(sys.argv[1]).read_text())
first = [int(part) for part in sys.argv[2].split(".")]
releases = [each for each in all_versions() if [int(part) for part in each.split(".")[:2]] >= first]
assert len(releases) > 5, releases
checked = 0
for document in yaml.load_all(sys.stdin, yaml.CSafeLoader):
    name = f"{document['kind']} {document['apiVersion']}"
    try:
        if name in custom:
            jsonschema.validate(document, custom[name])
        else:
            for release in releases:
                kubernetes_validate.validate(document, release, strict=True)
        checked += 1
    except jsonschema.ValidationError as error:
        where = ".".join(map(str, error.absolute_path))
        print(f"{name} {document['metadata']['name']}: {getattr(error, 'version', '')} {where}: {error.message}")
print(f"{checked} documents", file=sys.stderr)
