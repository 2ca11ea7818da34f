"""The user's own modules, on their way from the driver to workers.

    pickling of the objective ──▶ ModuleNames          what the pickle imports, by name
        │                            │
        │                            ▼
        │         OwnModules: whole top-level packages that are neither installed nor the standard
        │                            │                library's, and those that these import in turn
        ▼                            ▼
    pickle ──────────────────▶ packed: digests, archive, pickle ──▶ the objective's blob, once a worker
                                                                         │
    process A   digests_in ──▶ another version was loaded: a fresh evaluator ◀─┤
    process B   unpack ──▶ a directory at the end of sys.path; then unpickle ◀─┘

imported_names.py    names of modules that a pickle, a function's code or a source file imports
own_modules.py       the packages that go along, and the reasons for those that do not
package_files.py     the files of a package
objective_archive.py the format of an objective that comes with modules
missing_modules.py   messages for a module that a worker lacks, and the driver's reading of them

It is a part of the wire because two rooms need it that do not know each other's: that of Spark, which pickles
objectives, and that of workers. It imports the standard library alone, and knows no search.
"""
