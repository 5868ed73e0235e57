{
  description = "LES02 listener: CAN in, WebSocket out";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux" # Raspberry Pi
      ];
      forEachSystem = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      devShells = forEachSystem (
        pkgs:
        let
          python = pkgs.python3.withPackages (
            packages: with packages; [
              # What pyproject.toml asks for; here the versions come from flake.lock.
              python-can
              websockets
              cantools
              tomli
              structlog
              msgspec
              # extra "api"
              fastapi
              python-multipart
              uvicorn
              # extra "arrays"
              numpy
              # extra "dev"
              coverage
              hatchling
              httpx
              hypothesis
              matplotlib # extra "plot"
              mypy
              pyserial
              serialx
              playwright
              pytest
              pytest-asyncio
              pytest-cov
              pytest-timeout
              pyyaml
              ruff
              schemathesis
              wsproto
            ]
            # Of the extra "api", fastapi-offline is not in every nixpkgs; the rest of the daemon needs it not.
            ++ pkgs.lib.optionals (packages ? fastapi-offline) [ packages.fastapi-offline ]
          );
        in
        {
          default = pkgs.mkShell {
            packages = [
              python
              pkgs.can-utils
              pkgs.chromium # tests/page
              pkgs.git
              pkgs.iproute2
              pkgs.kmod # modprobe vcan
              pkgs.nodejs
              pkgs.sqlite
              pkgs.tmux
              pkgs.util-linux # script, setsid and setpriv for start_dev.sh
            ];

            # Functions rather than aliases: they take further arguments in scripts, too.
            shellHook = ''
              export LES02_VENV=${python} # start_dev.sh and tests/run use it as it is
              export PYTHONPATH="$PWD''${PYTHONPATH:+:$PYTHONPATH}"
              leslisten() { python -m listener.main --channel vcan0 "$@"; }
              lesmock() { python -m mock.mock_les02 --channel vcan0 "$@"; }
              lesdebug() { python -m listener.debug_ws_client "$@"; }
              candump0() { candump "$@" vcan0; }
              export -f leslisten lesmock lesdebug candump0
              echo "leslisten, lesmock, lesdebug, candump0 - on vcan0; ./start_dev.sh starts them all"
            '';
          };
        }
      );
    };
}
