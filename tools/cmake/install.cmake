# cmake --install: the command, the package espalier::espalier, and one facade header with what it includes.
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/espalier")
install(TARGETS espalier RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES lib/facade/espalier.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/espalier")
install(FILES lib/base/error.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/espalier/lib/base")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(EXPORT espalier NAMESPACE espalier:: DESTINATION "${package_dir}" FILE espalierTargets.cmake)
configure_package_config_file(tools/cmake/espalierConfig.cmake.in "${PROJECT_BINARY_DIR}/espalierConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/espalierConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/espalierConfig.cmake" "${PROJECT_BINARY_DIR}/espalierConfigVersion.cmake"
  DESTINATION "${package_dir}")
