"""The node's command line.

    node network generate --network FILE --out FILE   make genesis.json from a network file
    node network generate --network FILE --homes DIR  make genesis.json, and keys and settings for each node
    node network keys --data DIR                      make a node's keys for consensus, print the public parts
    node network verify --genesis FILE                recompute a genesis file's hash and print it
    node join --genesis FILE --peers ID@HOST:PORT,...  prepare a new node's data directory, from genesis or a snapshot
    node run --genesis FILE --data DIR --port N       run a node (core and RPC processes)
    node run --config FILE --check-config             say whether settings and files are right, and what holds
    node dev                                          run a development chain of its own (chain id 31337, port 8545)
    node export --data DIR --out FILE                 write the blocks to a chain file, also beside a running node
    node import FILE --data DIR                       execute a chain file's blocks into a data directory
    node verify --data DIR                            execute every block again and compare all that is stored
    node snapshot --data DIR                          make a snapshot for nodes that join, and list those there are
    node prune --data DIR --keep N                    keep the states of the newest N blocks only
    node keys new | import --keystore DIR             keep a new key, or one from standard input, encrypted
    node keys list --keystore DIR                     the addresses of a keystore
    node keys address --file FILE                     the address of a keystore file
    node certificate verify FILE --chain-id ID --genesis-validators HASH   whether a settlement certificate holds
    node certificate anchor --genesis FILE            the chain id and hash that certificates are held against
    node rpc ...                                      an RPC process beside a running core, on a port of its own

Settings are flags before environment (CORRIDOR_NODE_...) before the settings file before defaults.
A passphrase is in the file named by --passphrase-file, or in the environment's CORRIDOR_PASSPHRASE; never in a flag.

Import and verify read DIR/genesis.json unless `--genesis` names another file.

Exit codes: 0 ended as asked, 1 a process of the node failed or a command was stopped, 2 refused (bad file or argument),
3 unavailable (directory or port in use), 4 a broken invariant, 5 (RPC process alone) its core ended.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from node import app, verify_certificate
from node.config import (
    CONFIG_VARIABLE,
    LoadedSettings,
    format_settings,
    list_settings,
    load_settings,
)
from node.errors import NodeError, Rejected, Unavailable

EXIT_REFUSED = 2
EXIT_UNAVAILABLE = 3
EXIT_BROKEN = 4

_METAVARS: Mapping[type, str] = {str: "TEXT", Path: "PATH", tuple: "LIST"}

LOG_LEVELS = ("debug", "info", "warning", "error")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; gives the process's exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except NodeError as error:
        print(f"node: {error}", file=sys.stderr)
        if isinstance(error, Rejected):
            return EXIT_REFUSED
        return EXIT_UNAVAILABLE if isinstance(error, Unavailable) else EXIT_BROKEN
    except OSError as error:
        print(f"node: {error}", file=sys.stderr)
        return EXIT_REFUSED


def _run(options: argparse.Namespace) -> int:
    match options.command:
        case "generate" | "verify" | "network-keys" | "join":
            _run_network(options)
        case "run" if options.check_config:
            return _check_config(_settings(options))
        case "run":
            return app.run_core(_settings(options).settings)
        case "certificate-verify":
            return verify_certificate.main(options.arguments)
        case "certificate-anchor":
            chain_id, validators_hash = app.trust_anchor(options.genesis, options.data)
            print(f"--chain-id {chain_id} --genesis-validators {validators_hash.hex()}")
        case "keys-new" | "keys-import" | "keys-list" | "keys-address":
            _run_keys(options)
        case "dev":
            return app.run_development(_development_settings(options))
        case "rpc" if options.inherited:
            return app.run_kept_rpc(sys.stdin.buffer.read())
        case "rpc":
            return app.run_rpc(_settings(options).settings)
        case _:
            return _run_archive(options)
    return 0


def _run_network(options: argparse.Namespace) -> None:
    match options.command:
        case "generate" if options.homes is not None:
            print(f"genesis 0x{app.generate_network(options.network, options.homes).hex()}")
        case "generate":
            text, genesis_hash = app.generate_genesis(options.network)
            options.out.write_bytes(text)
            print(f"genesis 0x{genesis_hash.hex()}")
        case "verify":
            print(f"genesis 0x{app.verify_genesis(options.genesis).hex()}")
        case _:
            made = _join(options) if options.command == "join" else _make_keys(options)
            print(f"node 0x{made.node_id.hex()}")
            if made.validator is not None:
                print(f"validator 0x{made.validator.hex()}")


def _make_keys(options: argparse.Namespace) -> app.PublicKeys:
    return app.make_node_keys(options.data.resolve())


def _join(options: argparse.Namespace) -> app.PublicKeys:
    return app.join_network(
        app.JoinRequest(
            genesis_file=options.genesis,
            data_directory=options.data.resolve(),
            peers=tuple(options.peers.split(",")),
            listen=options.listen,
            sync_rpc=tuple(options.rpc.split(",")) if options.from_snapshot else (),
            trust_height=options.trust_height,
            trust_hash=options.trust_hash,
        )
    )


def _run_archive(options: argparse.Namespace) -> int:
    data_directory: Path = options.data.resolve()
    match options.command:
        case "export":
            return app.export_chain(
                data_directory=data_directory,
                file=options.out,
                first_number=options.first,
                last_number=options.last,
                out=sys.stdout,
            )
        case "import":
            return app.import_chain(
                data_directory=data_directory,
                genesis_file=options.genesis or data_directory / "genesis.json",
                file=options.file,
                out=sys.stdout,
            )
        case "verify-store":
            return app.verify_store(
                data_directory=data_directory,
                genesis_file=options.genesis or data_directory / "genesis.json",
                first_number=options.first,
                out=sys.stdout,
            )
        case "snapshot":
            app.keep_snapshot(data_directory=data_directory, only_list=options.list, out=sys.stdout)
            return 0
        case _:
            return app.prune_store(data_directory=data_directory, keep=options.keep, out=sys.stdout)


def _run_keys(options: argparse.Namespace) -> None:
    match options.command:
        case "keys-list":
            for address, path in app.list_keys(options.keystore):
                print(f"{address}  {path}")
        case "keys-address":
            print(app.address_of(options.file))
        case _:
            # The key comes before the passphrase is asked for: a pipe that holds none is told at once.
            key_text = sys.stdin.readline() if options.command == "keys-import" else None
            address, path = app.keep_key(options.keystore, options.passphrase_file, key_text)
            print(f"{address}  {path}")


def _settings(options: argparse.Namespace) -> LoadedSettings:
    given = vars(options)
    flags = {
        each.key: str(given[each.key])
        for each in list_settings()
        if given.get(each.key) is not None
    }
    config_file = options.config or os.environ.get(CONFIG_VARIABLE)
    return load_settings(
        flags=flags,
        environment=os.environ,
        config_file=Path(config_file).resolve() if config_file else None,
    )


def _check_config(loaded: LoadedSettings) -> int:
    """Prints what holds; names every fault of the files behind it."""
    print(format_settings(loaded), end="")
    faults = app.check_files(loaded.settings)
    for fault in faults:
        print(f"node: {fault}", file=sys.stderr)
    return EXIT_REFUSED if faults else 0


def _development_settings(options: argparse.Namespace) -> app.DevelopmentSettings:
    return app.DevelopmentSettings(
        data_directory=options.data.resolve() if options.data else None,
        port=options.port,
        host=options.host,
        log_level=options.log_level,
        chain_id=options.chain_id,
        accounts=options.accounts,
        block_gas_limit=options.block_gas_limit,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="node", description="Corridor settlement node")
    commands = parser.add_subparsers(required=True)
    network = commands.add_parser("network", help="make and check genesis files")
    network_commands = network.add_subparsers(required=True)
    generate = network_commands.add_parser("generate", help="make genesis.json")
    generate.add_argument("--network", type=Path, required=True)
    made = generate.add_mutually_exclusive_group(required=True)
    made.add_argument("--out", type=Path, help="genesis.json alone")
    made.add_argument("--homes", type=Path, help="a directory for genesis, keys and settings")
    generate.set_defaults(command="generate")
    keys = network_commands.add_parser(
        "keys", help="make a node's keys for consensus, and show them"
    )
    keys.add_argument("--data", type=Path, required=True)
    keys.set_defaults(command="network-keys")
    verify = network_commands.add_parser("verify", help="recompute a genesis file's hash")
    verify.add_argument("--genesis", type=Path, required=True)
    verify.set_defaults(command="verify")
    _add_joining(commands.add_parser("join", help="prepare a new node's data directory"))
    _add_development(commands.add_parser("dev", help="run a development chain"))
    _add_archive(commands)
    _add_certificates(commands.add_parser("certificate", help="check proofs of payments"))
    _add_keys(commands.add_parser("keys", help="make and list keys"))
    run = commands.add_parser("run", help="run a node", allow_abbrev=False)
    run.add_argument(
        "--check-config", action="store_true", help="check settings and files, print what holds"
    )
    run.set_defaults(command="run")
    rpc = commands.add_parser("rpc", help="run an RPC process alone", allow_abbrev=False)
    rpc.add_argument("--inherited", action="store_true", help=argparse.SUPPRESS)
    rpc.set_defaults(command="rpc")
    for process in (run, rpc):
        _add_settings(process)
    return parser


def _add_joining(join: argparse.ArgumentParser) -> None:
    join.add_argument("--genesis", type=Path, required=True)
    join.add_argument("--data", type=Path, required=True)
    join.add_argument("--peers", required=True, metavar="ID@HOST:PORT,...")
    join.add_argument("--listen", metavar="HOST:PORT", help="where its engine awaits peers")
    join.add_argument("--from-snapshot", action="store_true", help="execute no old blocks")
    join.add_argument("--rpc", default="", metavar="URL,...", help="RPC of at least two engines")
    join.add_argument("--trust-height", type=_positive, default=0, metavar="HEIGHT")
    join.add_argument("--trust-hash", default="", metavar="HASH")
    join.set_defaults(command="join")


def _add_keys(keys: argparse.ArgumentParser) -> None:
    commands = keys.add_subparsers(required=True)
    for command, text in (("new", "make a key"), ("import", "keep a key from standard input")):
        keeping = commands.add_parser(command, help=text)
        keeping.add_argument("--keystore", type=Path, required=True)
        keeping.add_argument("--passphrase-file", type=Path, help=f"else {app.PASSPHRASE_VARIABLE}")
        keeping.set_defaults(command=f"keys-{command}")
    listing = commands.add_parser("list", help="list a keystore's addresses")
    listing.add_argument("--keystore", type=Path, required=True)
    listing.set_defaults(command="keys-list")
    address = commands.add_parser("address", help="show a keystore file's address")
    address.add_argument("--file", type=Path, required=True)
    address.set_defaults(command="keys-address")


def _add_certificates(certificate: argparse.ArgumentParser) -> None:
    commands = certificate.add_subparsers(required=True)
    verify = commands.add_parser(
        "verify", help="whether a file proves what it says", add_help=False, prefix_chars=" "
    )
    verify.add_argument("arguments", nargs="*")
    verify.set_defaults(command="certificate-verify")
    anchor = commands.add_parser("anchor", help="what to hold a chain's certificates against")
    anchor.add_argument("--genesis", type=Path, required=True)
    anchor.add_argument("--data", type=Path, help="of a solo node, which signs by its own key")
    anchor.set_defaults(command="certificate-anchor")


def _add_settings(process: argparse.ArgumentParser) -> None:
    process.add_argument("--config", help=f"settings file (TOML); also {CONFIG_VARIABLE}")
    for setting in list_settings():
        if setting.flag:
            process.add_argument(
                setting.flag,
                dest=setting.key,
                metavar=_METAVARS.get(setting.kind, setting.unit.upper() or "NUMBER"),
                help=setting.meaning,
            )


def _add_development(process: argparse.ArgumentParser) -> None:
    defaults = app.DevelopmentSettings(data_directory=None)
    process.add_argument("--data", type=Path, help="keep the chain there (default: nowhere)")
    process.add_argument("--port", type=int, default=defaults.port)
    process.add_argument("--host", default=defaults.host)
    process.add_argument("--chain-id", type=int, default=defaults.chain_id)
    process.add_argument("--accounts", type=_account_count, default=defaults.accounts)
    process.add_argument("--block-gas-limit", type=int, default=defaults.block_gas_limit)
    process.add_argument("--log-level", default=defaults.log_level, choices=LOG_LEVELS)
    process.set_defaults(command="dev")


def _add_archive(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    export = commands.add_parser("export", help="write the blocks to a chain file")
    export.add_argument("--out", type=Path, required=True)
    export.add_argument("--from", type=_positive, default=1, dest="first", metavar="NUMBER")
    export.add_argument("--to", type=_positive, dest="last", metavar="NUMBER")
    export.set_defaults(command="export")
    bring = commands.add_parser("import", help="execute a chain file's blocks")
    bring.add_argument("file", type=Path)
    bring.add_argument("--genesis", type=Path)
    bring.set_defaults(command="import")
    verify = commands.add_parser("verify", help="execute every block again and compare")
    verify.add_argument("--genesis", type=Path)
    verify.add_argument("--from", type=_positive, default=1, dest="first", metavar="NUMBER")
    verify.set_defaults(command="verify-store")
    prune = commands.add_parser("prune", help="keep the newest states only")
    prune.add_argument("--keep", type=_positive, required=True, metavar="BLOCKS")
    prune.set_defaults(command="prune")
    snapshot = commands.add_parser("snapshot", help="make a snapshot for nodes that join")
    snapshot.add_argument("--list", action="store_true", help="make none")
    snapshot.set_defaults(command="snapshot")
    for command in (export, bring, verify, prune, snapshot):
        command.add_argument("--data", type=Path, required=True)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _account_count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= app.DEVELOPMENT_ACCOUNTS_MAX:
        raise argparse.ArgumentTypeError(f"between 1 and {app.DEVELOPMENT_ACCOUNTS_MAX}")
    return count


if __name__ == "__main__":
    sys.exit(main())
